"""Files from the network: downloads that are checked, resumed and unpacked safely."""
