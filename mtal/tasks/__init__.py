"""What a head means: loss, posterior, metric."""

from mtal.tasks.class_balance import class_weights
from mtal.tasks.metrics import PoolMetrics, joint_score, main_metric
from mtal.tasks.posterior import Family, HeadOutput
from mtal.tasks.task import Task, build_tasks

__all__ = ["Family", "HeadOutput", "PoolMetrics", "Task", "build_tasks", "class_weights", "joint_score", "main_metric"]
