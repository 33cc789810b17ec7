"""zstd frames, decoded by libzstd: one frame whose content size it names itself, never more than the caller expects."""

import ctypes

library = ctypes.CDLL("libzstd.so.1")
for name in ("ZSTD_getFrameContentSize", "ZSTD_decompress"):
    getattr(library, name).restype = ctypes.c_ulonglong if name.endswith("Size") else ctypes.c_size_t
library.ZSTD_getFrameContentSize.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
library.ZSTD_decompress.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t]


def unzstd(frame, most):
    """The content of a frame of at most `most` bytes. ValueError when it is another size, or no whole frame."""
    size = library.ZSTD_getFrameContentSize(frame, len(frame))
    if size > most:  # "unknown" and "no frame" are the two greatest numbers
        raise ValueError(f"a zstd frame says that it holds more than {most} bytes, or nothing of its size")
    content = ctypes.create_string_buffer(size + 1)
    if library.ZSTD_decompress(content, size, frame, len(frame)) != size:
        raise ValueError("a zstd frame is damaged")
    return content.raw[:size]
