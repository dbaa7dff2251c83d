"""How a directory comes about: the arguments, what its class declares, who builds it, where an equal one is found."""
