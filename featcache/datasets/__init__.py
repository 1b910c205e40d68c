"""What to encode: named data sets, one's own folders, and sets that are made."""

from featcache.datasets.dataset import Dataset, Item, Picture
from featcache.datasets.registry import DatasetInfo, load, names

__all__ = ["Dataset", "DatasetInfo", "Item", "Picture", "load", "names"]
