: mm/zswap
