"""The model as data and pure functions: catalog, download, labels, pre- and post-processing, the embedded default.

Importing this package costs nothing: numpy and Pillow come only with `preprocess` and `postprocess`, httpx only
with `download`.
"""
