# The public names: `lazy_loader` reads here where each is, and imports it when it is asked for.

from . import data as data
from . import em as em
from . import features as features
from . import learners as learners
from . import segmentation as segmentation
from .em.mixture import MixtureParameters as MixtureParameters
from .em.step_size import Constant as Constant
from .em.step_size import HalfLife as HalfLife
from .em.step_size import PowerDecay as PowerDecay
from .features.rolling import RollingFeatures as RollingFeatures
from .learners.base import Assignment as Assignment
from .learners.base import Assignments as Assignments
from .learners.chain_answers import Smoothed as Smoothed
from .learners.gmm import OnlineGMM as OnlineGMM
from .learners.hmm import OnlineHMM as OnlineHMM
from .learners.recycle import ComponentEvent as ComponentEvent
from .learners.strangeness import StrangenessDetector as StrangenessDetector
from .segmentation.explanation import Reason as Reason
from .segmentation.pooling import Pool as Pool
from .segmentation.pooling import pool as pool
from .segmentation.regimes import RegimeCard as RegimeCard
from .segmentation.second_pass import SecondPass as SecondPass
from .segmentation.segmenter import Segmenter as Segmenter
from .segmentation.segments import RegimeChange as RegimeChange
from .segmentation.segments import RegimeEvent as RegimeEvent
from .segmentation.segments import Segment as Segment

__all__: list[str]
__version__: str
__kernel__: str
