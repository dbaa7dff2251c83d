"""Measures of a reconstruction: R-factor, PSNR and SSIM, Fourier ring correlation of split halves, registration."""
