"""What the app, the endpoints and the command line call: names in, answers out.

The app knows the core by these names alone, besides its values, settings and reports.
"""

from core.encoders.load import load_encoder
from core.encoders.network import LEVELS, NetworkEncoder, Reading, best_device
from core.encoders.registry import EncoderInfo, encoder_infos
from core.explain.projection import place
from core.explain.regions import Standout, regions, standouts
from core.gallery.browse import (
    ADDED,
    NAME,
    NEWEST,
    Wanted,
    browse,
    column_names,
    column_values,
)
from core.gallery.datasets import OPEN_DATASETS, OpenDataset
from core.gallery.examples import Example, example_of, read_examples
from core.gallery.filters import LONGEST as LONGEST_FILTER
from core.gallery.filters import filter_columns
from core.gallery.filters import parse as parse_filter
from core.gallery.gallery import Gallery
from core.gallery.opting import Opted
from core.gallery.verify import Damage
from core.images.files import folder_size
from core.images.waiting import awaited
from core.measures.compare import (
    DEPTHS,
    HITS,
    ExampleComparison,
    RankingComparison,
    compare_answers,
    compare_examples,
)
from core.measures.dimensions import Dimensions
from core.measures.disentangle import (
    Contrast,
    DimensionView,
    Disentanglement,
    Stage,
    contrast,
)
from core.measures.factors import Likeness
from core.measures.jackknife import Estimate
from core.measures.reports import THEMES, Measure
from core.measures.retrieval import Interval
from core.measures.variations.ways import WAYS, Way
from core.search.patches import strongest_links
from core.service.choice import DEFAULT_ENCODER, Choice
from core.service.examples import Examples
from core.service.images import SHOWN_SIDE
from core.service.library import BUILTIN, Change, Facts, Library, default_home
from core.service.neighbourhoods import (
    mean_shared_neighbours,
    near_images,
    shared_neighbours,
)
from core.service.preparing import Offer, Preparation, Preparations
from core.service.reverse import Finding, adjust_known, fewest_named, reverse_lookup
from core.service.selftest import SelfTest, Trial, selftest
from core.service.session import Placed, Session
from core.service.trials import Tally, Verdict, by_confidence, by_way, tally_of, verdict_of
from core.service.uploads import Picture, pictures_of
from core.service.workspace import Query, Workspace

__all__ = [
    "ADDED",
    "BUILTIN",
    "DEFAULT_ENCODER",
    "DEPTHS",
    "HITS",
    "LEVELS",
    "LONGEST_FILTER",
    "NAME",
    "NEWEST",
    "OPEN_DATASETS",
    "SHOWN_SIDE",
    "THEMES",
    "WAYS",
    "Change",
    "Choice",
    "Contrast",
    "Damage",
    "DimensionView",
    "Dimensions",
    "Disentanglement",
    "EncoderInfo",
    "Estimate",
    "Example",
    "ExampleComparison",
    "Examples",
    "Facts",
    "Finding",
    "Gallery",
    "Interval",
    "Library",
    "Likeness",
    "Measure",
    "NetworkEncoder",
    "Offer",
    "OpenDataset",
    "Opted",
    "Picture",
    "Placed",
    "Preparation",
    "Preparations",
    "Query",
    "RankingComparison",
    "Reading",
    "SelfTest",
    "Session",
    "Stage",
    "Standout",
    "Tally",
    "Trial",
    "Verdict",
    "Wanted",
    "Way",
    "Workspace",
    "adjust_known",
    "awaited",
    "best_device",
    "browse",
    "by_confidence",
    "by_way",
    "column_names",
    "column_values",
    "compare_answers",
    "compare_examples",
    "contrast",
    "default_home",
    "encoder_infos",
    "example_of",
    "fewest_named",
    "filter_columns",
    "folder_size",
    "load_encoder",
    "mean_shared_neighbours",
    "near_images",
    "parse_filter",
    "pictures_of",
    "place",
    "read_examples",
    "regions",
    "reverse_lookup",
    "selftest",
    "shared_neighbours",
    "standouts",
    "strongest_links",
    "tally_of",
    "verdict_of",
]
