"""Networks, one file each."""

from irrepnet.models.point_group import PointGroupConfig, PointGroupNet

__all__ = ["PointGroupConfig", "PointGroupNet"]
