"""The judge as PyTorch operations: deviations, score and alarm beside a module's own kernels, on its device.

PyTorch is imported by the files of this room, not by the room.
"""
