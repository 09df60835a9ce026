"""What Outrider detects and what it costs. Each benchmark is a module, run from the root of the repository:

    python -m benchmarks.detection.detectors fashion-mnist

`--help` says what a benchmark measures. The raw figures go to `results/`, and `python -m benchmarks.report` writes
`RESULTS.md` from them. Some benchmarks read data that `make data` fetches. The packages come with the extra `bench`.
"""
