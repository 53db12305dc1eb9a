"""Hand-written PyTorch twins of rnnspec models: the oracle that its training is measured against.

Nothing here imports rnnspec. ``data`` reads and batches, ``model`` is the network in its padded
and its packed form, ``train`` is the loop.
"""
