"""The commands of the program, one module each, and the modules that they share; `rollahead.cli` starts them."""
