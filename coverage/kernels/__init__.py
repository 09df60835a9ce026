"""The compiled loops of the criteria, a file per question.

Names: `values` (n, neurons) float32, `labels` (n,) int64 in [0, classes), `out` (n,) float32. A kernel with a second
signature also takes the uint8 codes of a quantised tap, and gives what the same numbers in float32 give. The kernels
of a module are compiled when it is imported, or read from numba's cache. So nothing compiles in a loop, and a wrong
dtype or stride raises TypeError at once. Kernels do not check labels: `rows.labels_within` does.
"""
