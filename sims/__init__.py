"""What does happen, and how close it comes to the theory: tasks, models, runs, comparison, figures, command line.

The public map of the package. Each name is importable from here and from the room of its concept, and is imported when
it is asked for: importing this package loads no torch.
"""

from typing import TYPE_CHECKING

from .lazy import attach

if TYPE_CHECKING:
    from .compare import Comparison as Comparison
    from .compare import ModelComparison as ModelComparison
    from .compare import read_comparison as read_comparison
    from .interop import read_embedding as read_embedding
    from .models import Diverged as Diverged
    from .models import Model as Model
    from .models import NeuralSettings as NeuralSettings
    from .models import Node2VecSettings as Node2VecSettings
    from .models import get_model as get_model
    from .paths import PathSettings as PathSettings
    from .paths import run_paths as run_paths
    from .predict import PredictedTrajectory as PredictedTrajectory
    from .predict import predict_trajectory as predict_trajectory
    from .recall import RecallSettings as RecallSettings
    from .recall import run_recalls as run_recalls
    from .runs import Interrupted as Interrupted
    from .runs import Restart as Restart
    from .runs import Run as Run
    from .runs import RunDir as RunDir
    from .runs import StopRequest as StopRequest
    from .runs import Watch as Watch
    from .runs import estimate_runs as estimate_runs
    from .runs import run_and_score as run_and_score
    from .runs import run_seeds as run_seeds
    from .scores import score_embedding as score_embedding
    from .scores import score_logits as score_logits
    from .sweep import plan_sweep as plan_sweep
    from .sweep import read_sweep as read_sweep
    from .sweep import run_sweep as run_sweep
    from .tasks import Search as Search
    from .tasks import Task as Task

__getattr__, __dir__, __all__ = attach(__name__, __file__)
