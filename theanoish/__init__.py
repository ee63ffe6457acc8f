"""End-to-end learning for music audio (Dieleman & Schrauwen, ICASSP 2014) on PyTensor."""

__version__ = "0.1.0"
