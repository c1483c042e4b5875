"""The closed vocabularies of ``config.yaml`` and of executors."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["ExecutionMode", "LogLevel", "PackageManager", "PluginCategory", "RunMethod"]


class PluginCategory(StrEnum):
    """What a plugin is for."""

    NEURAL_NET = "neural_net"
    EXPORT = "export"
    UPLOAD = "upload"
    SMART_TOOL = "smart_tool"
    POST_ANNOTATION = "post_annotation"
    PRE_ANNOTATION = "pre_annotation"
    DATA_VALIDATION = "data_validation"
    CUSTOM = "custom"


class RunMethod(StrEnum):
    """How a backend prefers to run an action."""

    JOB = "job"
    TASK = "task"
    RESTAPI = "restapi"


class PackageManager(StrEnum):
    """What installs an action's requirements on a worker."""

    PIP = "pip"
    UV = "uv"


class ExecutionMode(StrEnum):
    """Where an action runs. Any registered executor's name is a mode too."""

    LOCAL = "local"
    TASK = "task"
    JOB = "job"
    RAY_JOB = "ray-job"
    PIPELINE = "pipeline"
    REMOTE = "remote"


class LogLevel(StrEnum):
    """Weight of a message, in the order of the standard library's levels."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"
