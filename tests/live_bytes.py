"""Bytes of all live tensors on a CPU, whose allocator reports none."""

import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only


class LiveBytes(TorchDispatchMode):
    """Bytes of the storages of `tensors` and of those created in the context, as long as they live.

    `now` is the current sum, `peak` the largest so far.
    """

    def __init__(self, tensors):
        super().__init__()
        self.now = self.peak = 0
        self.known = set()
        for tensor in tensors:
            self.count(tensor)

    def __torch_dispatch__(self, function, types, arguments=(), keywords=None):
        result = function(*arguments, **(keywords or {}))
        tree_map_only(torch.Tensor, self.count, result)
        return result

    def count(self, tensor):
        storage = tensor.untyped_storage()
        if storage._cdata in self.known:
            return
        self.known.add(storage._cdata)
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self.forget, storage._cdata, storage.nbytes())

    def forget(self, key, size):
        self.known.discard(key)
        self.now -= size
