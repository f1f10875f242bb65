"""Names for array shapes in signatures: jaxtyping where installed, else plain stand-ins."""

try:
    from jaxtyping import Bool, Float, Int, Shaped
except ImportError:  # a bare GPU machine: the shapes stay readable, nothing checks them

    class _Unchecked:
        def __class_getitem__(cls, item):
            return item[0]

    Bool = Float = Int = Shaped = _Unchecked

__all__ = ["Bool", "Float", "Int", "Shaped"]
