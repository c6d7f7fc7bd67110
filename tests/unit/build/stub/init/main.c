: init/main
