"""Records of what commands measured: one class per kind of file in weights/results/, for its writer and its readers."""

from fer_models.evaluation.records.attention import (
    AttentionRecord,
    Consistency,
    Distribution,
    FaithfulnessFigures,
    MeanFace,
    MeanMap,
    ModelAttention,
    RegionFigures,
)
from fer_models.evaluation.records.base import (
    Amount,
    Count,
    GapInterval,
    Provenance,
    Record,
    Share,
    ShareInterval,
    in_order,
    package_versions,
)
from fer_models.evaluation.records.comparison import Calibration, FaceSetComparison, LeaderboardRecord, ModelComparison
from fer_models.evaluation.records.evaluation import (
    Baseline,
    ConfidenceErrors,
    EnsembleEvaluation,
    EvaluationFigures,
    EvaluationRecord,
    Headline,
    MergedFigures,
    ModelEvaluation,
    TrainTestDuplicates,
)
from fer_models.evaluation.records.latency import EngineTimes, LatencyRecord, ModelLatency, WholeComparison
from fer_models.evaluation.records.noise_study import NoisePoint, NoiseRun, NoiseStudyRecord
from fer_models.evaluation.records.robustness import RobustnessRecord

__all__ = [
    "Amount",
    "AttentionRecord",
    "Baseline",
    "Calibration",
    "ConfidenceErrors",
    "Consistency",
    "Count",
    "Distribution",
    "EnsembleEvaluation",
    "EvaluationFigures",
    "EngineTimes",
    "EvaluationRecord",
    "FaceSetComparison",
    "FaithfulnessFigures",
    "GapInterval",
    "Headline",
    "LatencyRecord",
    "LeaderboardRecord",
    "MeanFace",
    "MeanMap",
    "MergedFigures",
    "ModelAttention",
    "ModelComparison",
    "ModelEvaluation",
    "ModelLatency",
    "NoisePoint",
    "NoiseRun",
    "NoiseStudyRecord",
    "Provenance",
    "Record",
    "RegionFigures",
    "RobustnessRecord",
    "Share",
    "ShareInterval",
    "TrainTestDuplicates",
    "WholeComparison",
    "in_order",
    "package_versions",
]
