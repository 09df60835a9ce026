"""Where in the picture: the deviations of the places of a frame as one map, its regions, and a score of the frame."""

from .logic import LargestArea, PlaceLogic, WorstPlace
from .regions import Region
from .seen import Places

__all__ = ["LargestArea", "PlaceLogic", "Places", "Region", "WorstPlace"]
