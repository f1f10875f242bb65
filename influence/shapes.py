"""Names for array shapes in signatures: jaxtyping where installed, else plain stand-ins."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxtyping import Bool, Float, Int, Shaped
else:
    try:
        from jaxtyping import Bool, Float, Int, Shaped
    except ImportError:  # a bare GPU machine: the shapes stay readable, nothing checks them

        class Shaped:
            """Stands for any array type: Float[np.ndarray, "examples"] is np.ndarray."""

            def __class_getitem__(cls, item):
                """Return the array type without its shape."""
                return item[0]

        Bool = Float = Int = Shaped

__all__ = ["Bool", "Float", "Int", "Shaped"]
