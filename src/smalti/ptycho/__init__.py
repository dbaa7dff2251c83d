"""Ptychography: from diffraction patterns to the complex object and probe that explain them.

``geometry`` and ``patterns``: where the windows lie, and how patterns are read; ``optics``: probe and propagation;
``losses`` and ``forward``: the forward model and its gradients; ``solve``: gradient descent; ``network``: a neural
network trained on one scan; ``evaluate``: R-factor, PSNR, SSIM, Fourier ring correlation; ``report``: pictures and
folders; ``stored``: the entry points for child processes. ``geometry``, ``patterns``, ``evaluate`` and ``report`` do
not import mlx.
"""
