"""The programs that benchmarks start, load and measure. Each file starts one of them."""
