"""HDF5 files and what they hold: plain arrays, CXI, NeXus, MATLAB 7.3, Ptychodus products."""
