: mm/page_alloc
