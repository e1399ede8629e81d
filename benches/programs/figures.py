"""How measured figures are written."""

import statistics


def spread(values, digits=1):
    """Median, least and most."""
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} … {max(values):.{digits}f})"
