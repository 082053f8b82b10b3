"""What softmax embeddings of a graph should converge to, exactly and with a certificate, next to what training runs do.

    import fiedler
    import networkx as nx

    graph = nx.karate_club_graph()       # or a SciPy matrix, a file, a word such as "cycle:15"
    fiedler.predict(graph)               # spectrum, certified optimum, predicted mode times
    fiedler.compare(graph)               # the prediction against training runs
    fiedler.train(graph, "transformer")  # one training run, its embedding and its scores
    fiedler.score(graph, embedding)      # an embedding that you trained, against the prediction

``fiedler.theory``: what should happen; ``fiedler.kernels``: how to train it fast; ``fiedler.sims``: what does happen.
``predict`` and ``score`` need no PyTorch. This file is the package ``fiedler`` itself (pyproject.toml).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fiedler.sims.toplevel.comparison import ComparisonResult as ComparisonResult
    from fiedler.sims.toplevel.comparison import compare as compare
    from fiedler.sims.toplevel.embedding_scores import EmbeddingScores as EmbeddingScores
    from fiedler.sims.toplevel.embedding_scores import score as score
    from fiedler.sims.toplevel.prediction import Prediction as Prediction
    from fiedler.sims.toplevel.prediction import predict as predict
    from fiedler.sims.toplevel.training import TrainingResult as TrainingResult
    from fiedler.sims.toplevel.training import train as train
    from fiedler.sims.toplevel.version import __version__ as __version__
else:  # not for type checkers, which would take any name for known

    def _attached():
        from fiedler.theory.lazy import attach  # not before it is asked for: fiedler.kernels needs nothing of theory

        return attach(__name__, __file__)

    def __getattr__(name):
        get, _, names = _attached()
        return names if name == "__all__" else get(name)

    def __dir__():
        return _attached()[1]()
