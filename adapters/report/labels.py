"""What data sets and backbones are called where rows of several share a name.

Two data sets of one name are `name (1a2b3c)` each, and so is the backbone of features that were
encoded in two ways. Rows of before, which do not say their data, stand under the bare name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas

WHOSE = ("data", "images")  # the columns that tell those of one name apart


def labelled(frame: pandas.DataFrame) -> pandas.DataFrame:
    """The rows with names that mean one data set, and one way of encoding it, among them."""
    if not {*WHOSE} <= {*frame}:
        return frame
    # The same features are the same data, also where an entry of before did not say it yet.
    known = frame.groupby(["dataset", "images"])["data"].transform("last")
    data = known.where(known.notna(), frame["data"])
    several = data.groupby(frame["dataset"]).transform("nunique") > 1
    dataset = apart(frame["dataset"], data, several)
    several = frame.groupby([dataset, "backbone"])["images"].transform("nunique") > 1
    backbone = apart(frame["backbone"], frame["images"], several)
    target = frame["target"].where(frame["target"] != frame["dataset"], dataset)
    return frame.assign(dataset=dataset, backbone=backbone, target=target)


def apart(
    names: pandas.Series[Any], ids: pandas.Series[Any], several: pandas.Series[Any]
) -> pandas.Series[Any]:
    """The names, each with its id in brackets where it is known and there are several."""
    return names.where(~several | ids.isna(), names.astype(str) + " (" + ids.astype(str) + ")")
