"""Synapse: write an action once, run it in this process, on a cluster, or as a step of a pipeline."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_core.actions import BaseAction as BaseAction
    from synapse_core.actions import action as action
    from synapse_core.config import (
        ActionConfig as ActionConfig,
    )
    from synapse_core.config import (
        ConfigWarning as ConfigWarning,
    )
    from synapse_core.config import (
        PluginConfig as PluginConfig,
    )
    from synapse_core.context import RuntimeContext as RuntimeContext
    from synapse_core.discovery import PluginDiscovery as PluginDiscovery
    from synapse_core.environment import PluginEnvironment as PluginEnvironment
    from synapse_core.errors import (
        ActionLoadError as ActionLoadError,
    )
    from synapse_core.errors import (
        ActionNotFoundError as ActionNotFoundError,
    )
    from synapse_core.errors import (
        AuthenticationError as AuthenticationError,
    )
    from synapse_core.errors import (
        BackendError as BackendError,
    )
    from synapse_core.errors import (
        BackendLoadError as BackendLoadError,
    )
    from synapse_core.errors import (
        BackendMissingError as BackendMissingError,
    )
    from synapse_core.errors import (
        BackendUnreachableError as BackendUnreachableError,
    )
    from synapse_core.errors import (
        CapabilityError as CapabilityError,
    )
    from synapse_core.errors import (
        ConfigError as ConfigError,
    )
    from synapse_core.errors import (
        EnvironmentValueError as EnvironmentValueError,
    )
    from synapse_core.errors import (
        ExecutionCancelledError as ExecutionCancelledError,
    )
    from synapse_core.errors import (
        ExecutionError as ExecutionError,
    )
    from synapse_core.errors import (
        ExecutionTimeoutError as ExecutionTimeoutError,
    )
    from synapse_core.errors import (
        FieldProblem as FieldProblem,
    )
    from synapse_core.errors import (
        JobExistsError as JobExistsError,
    )
    from synapse_core.errors import (
        JobNotFoundError as JobNotFoundError,
    )
    from synapse_core.errors import (
        PluginError as PluginError,
    )
    from synapse_core.errors import (
        PluginNotFoundError as PluginNotFoundError,
    )
    from synapse_core.errors import (
        UnknownBackendError as UnknownBackendError,
    )
    from synapse_core.errors import (
        ValidationError as ValidationError,
    )
    from synapse_core.errors import (
        WorkerLostError as WorkerLostError,
    )
    from synapse_core.execution import (
        run_action as run_action,
    )
    from synapse_core.execution import (
        run_action_async as run_action_async,
    )
    from synapse_core.execution import (
        run_to_outcome as run_to_outcome,
    )
    from synapse_core.model.enums import (
        ExecutionMode as ExecutionMode,
    )
    from synapse_core.model.enums import (
        LogLevel as LogLevel,
    )
    from synapse_core.model.enums import (
        PackageManager as PackageManager,
    )
    from synapse_core.model.enums import (
        PluginCategory as PluginCategory,
    )
    from synapse_core.model.enums import (
        RunMethod as RunMethod,
    )
    from synapse_core.model.outcome import ErrorData as ErrorData
    from synapse_core.model.outcome import Outcome as Outcome
    from synapse_core.model.pipeline import Checkpoint as Checkpoint
    from synapse_core.model.progress import ActionProgress as ActionProgress
    from synapse_core.model.progress import PipelineProgress as PipelineProgress
    from synapse_core.model.resources import Resources as Resources
    from synapse_core.model.status import ActionStatus as ActionStatus
    from synapse_core.model.status import JobStatus as JobStatus
    from synapse_core.model.status import RunStatus as RunStatus
    from synapse_core.model.tagged import PlainData as PlainData
    from synapse_core.model.tagged import decode as decode
    from synapse_core.model.tagged import encode as encode
    from synapse_core.plugins.descriptions import (
        CheckDescription as CheckDescription,
    )
    from synapse_core.plugins.descriptions import (
        CommandDescription as CommandDescription,
    )
    from synapse_core.plugins.descriptions import (
        EngineDescription as EngineDescription,
    )
    from synapse_core.plugins.descriptions import (
        ExecutorDescription as ExecutorDescription,
    )
    from synapse_core.plugins.descriptions import (
        RunStoreDescription as RunStoreDescription,
    )
    from synapse_core.plugins.hookspecs import hookimpl as hookimpl
    from synapse_core.plugins.registry import Registry as Registry
    from synapse_core.plugins.registry import registry as registry
    from synapse_core.ports.engine import RecordEngine as RecordEngine
    from synapse_core.ports.events import (
        DevEvent as DevEvent,
    )
    from synapse_core.ports.events import (
        Event as Event,
    )
    from synapse_core.ports.events import (
        EventSink as EventSink,
    )
    from synapse_core.ports.events import (
        LogEvent as LogEvent,
    )
    from synapse_core.ports.events import (
        MessageEvent as MessageEvent,
    )
    from synapse_core.ports.events import (
        MetricEvent as MetricEvent,
    )
    from synapse_core.ports.events import (
        MetricsEvent as MetricsEvent,
    )
    from synapse_core.ports.events import (
        NullSink as NullSink,
    )
    from synapse_core.ports.events import (
        ProgressEvent as ProgressEvent,
    )
    from synapse_core.ports.events import (
        RecordingSink as RecordingSink,
    )
    from synapse_core.ports.events import (
        VisualizationEvent as VisualizationEvent,
    )
    from synapse_core.ports.executor import (
        Capabilities as Capabilities,
    )
    from synapse_core.ports.executor import (
        ExecutorProtocol as ExecutorProtocol,
    )
    from synapse_core.ports.executor import (
        JobExecutorProtocol as JobExecutorProtocol,
    )
    from synapse_core.ports.executor import (
        PipelineExecutorProtocol as PipelineExecutorProtocol,
    )
    from synapse_core.ports.executor import (
        StatedCapabilities as StatedCapabilities,
    )
    from synapse_core.ports.run_store import RunStore as RunStore
    from synapse_core.resolution import ResolvedAction as ResolvedAction
    from synapse_core.resolution import resolve_action as resolve_action
    from synapse_core.runner import discover as discover
    from synapse_core.runner import run_plugin as run_plugin

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_core.actions": (
            "BaseAction",
            "action",
        ),
        "synapse_core.config": (
            "ActionConfig",
            "ConfigWarning",
            "PluginConfig",
        ),
        "synapse_core.context": ("RuntimeContext",),
        "synapse_core.discovery": ("PluginDiscovery",),
        "synapse_core.environment": ("PluginEnvironment",),
        "synapse_core.errors": (
            "ActionLoadError",
            "ActionNotFoundError",
            "AuthenticationError",
            "BackendError",
            "BackendLoadError",
            "BackendMissingError",
            "BackendUnreachableError",
            "CapabilityError",
            "ConfigError",
            "EnvironmentValueError",
            "ExecutionCancelledError",
            "ExecutionError",
            "ExecutionTimeoutError",
            "FieldProblem",
            "JobExistsError",
            "JobNotFoundError",
            "PluginError",
            "PluginNotFoundError",
            "UnknownBackendError",
            "ValidationError",
            "WorkerLostError",
        ),
        "synapse_core.execution": (
            "run_action",
            "run_action_async",
            "run_to_outcome",
        ),
        "synapse_core.model.enums": (
            "ExecutionMode",
            "LogLevel",
            "PackageManager",
            "PluginCategory",
            "RunMethod",
        ),
        "synapse_core.model.outcome": (
            "ErrorData",
            "Outcome",
        ),
        "synapse_core.model.pipeline": ("Checkpoint",),
        "synapse_core.model.progress": (
            "ActionProgress",
            "PipelineProgress",
        ),
        "synapse_core.model.resources": ("Resources",),
        "synapse_core.model.status": (
            "ActionStatus",
            "JobStatus",
            "RunStatus",
        ),
        "synapse_core.model.tagged": (
            "PlainData",
            "decode",
            "encode",
        ),
        "synapse_core.plugins.descriptions": (
            "CheckDescription",
            "CommandDescription",
            "EngineDescription",
            "ExecutorDescription",
            "RunStoreDescription",
        ),
        "synapse_core.plugins.hookspecs": ("hookimpl",),
        "synapse_core.plugins.registry": (
            "Registry",
            "registry",
        ),
        "synapse_core.ports.engine": ("RecordEngine",),
        "synapse_core.ports.events": (
            "DevEvent",
            "Event",
            "EventSink",
            "LogEvent",
            "MessageEvent",
            "MetricEvent",
            "MetricsEvent",
            "NullSink",
            "ProgressEvent",
            "RecordingSink",
            "VisualizationEvent",
        ),
        "synapse_core.ports.executor": (
            "Capabilities",
            "ExecutorProtocol",
            "JobExecutorProtocol",
            "PipelineExecutorProtocol",
            "StatedCapabilities",
        ),
        "synapse_core.ports.run_store": ("RunStore",),
        "synapse_core.resolution": (
            "ResolvedAction",
            "resolve_action",
        ),
        "synapse_core.runner": (
            "discover",
            "run_plugin",
        ),
    },
)

__all__ = [
    "ActionConfig",
    "ActionLoadError",
    "ActionNotFoundError",
    "ActionProgress",
    "ActionStatus",
    "AuthenticationError",
    "BackendError",
    "BackendLoadError",
    "BackendMissingError",
    "BackendUnreachableError",
    "BaseAction",
    "Capabilities",
    "CapabilityError",
    "CheckDescription",
    "Checkpoint",
    "CommandDescription",
    "ConfigError",
    "ConfigWarning",
    "DevEvent",
    "EngineDescription",
    "EnvironmentValueError",
    "ErrorData",
    "Event",
    "EventSink",
    "ExecutionCancelledError",
    "ExecutionError",
    "ExecutionMode",
    "ExecutionTimeoutError",
    "ExecutorDescription",
    "ExecutorProtocol",
    "FieldProblem",
    "JobExecutorProtocol",
    "JobExistsError",
    "JobNotFoundError",
    "JobStatus",
    "LogEvent",
    "LogLevel",
    "MessageEvent",
    "MetricEvent",
    "MetricsEvent",
    "NullSink",
    "Outcome",
    "PackageManager",
    "PipelineExecutorProtocol",
    "PipelineProgress",
    "PlainData",
    "PluginCategory",
    "PluginConfig",
    "PluginDiscovery",
    "PluginEnvironment",
    "PluginError",
    "PluginNotFoundError",
    "ProgressEvent",
    "RecordEngine",
    "RecordingSink",
    "Registry",
    "ResolvedAction",
    "Resources",
    "RunMethod",
    "RunStatus",
    "RunStore",
    "RunStoreDescription",
    "RuntimeContext",
    "StatedCapabilities",
    "UnknownBackendError",
    "ValidationError",
    "VisualizationEvent",
    "WorkerLostError",
    "action",
    "decode",
    "discover",
    "encode",
    "hookimpl",
    "registry",
    "resolve_action",
    "run_action",
    "run_action_async",
    "run_plugin",
    "run_to_outcome",
]
