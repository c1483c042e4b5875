"""Synapse: write an action once, run it in this process, on a cluster, or as a step of a pipeline."""

from typing import TYPE_CHECKING

from synapse_core.lazy import lazy_exports

if TYPE_CHECKING:
    from synapse_core.actions import BaseAction as BaseAction, action as action
    from synapse_core.config import (
        ActionConfig as ActionConfig,
        PluginConfig as PluginConfig,
    )
    from synapse_core.config_file import ConfigWarning as ConfigWarning
    from synapse_core.context import RuntimeContext as RuntimeContext
    from synapse_core.discovery import PluginDiscovery as PluginDiscovery
    from synapse_core.environment import PluginEnvironment as PluginEnvironment
    from synapse_core.errors import (
        ActionLoadError as ActionLoadError,
        ActionNotFoundError as ActionNotFoundError,
        AuthenticationError as AuthenticationError,
        BackendError as BackendError,
        BackendLoadError as BackendLoadError,
        BackendMissingError as BackendMissingError,
        BackendUnreachableError as BackendUnreachableError,
        CapabilityError as CapabilityError,
        ConfigError as ConfigError,
        EnvironmentValueError as EnvironmentValueError,
        ExecutionCancelledError as ExecutionCancelledError,
        ExecutionError as ExecutionError,
        ExecutionTimeoutError as ExecutionTimeoutError,
        FieldProblem as FieldProblem,
        JobExistsError as JobExistsError,
        JobNotFoundError as JobNotFoundError,
        LeaseLostError as LeaseLostError,
        PluginError as PluginError,
        PluginNotFoundError as PluginNotFoundError,
        RunNotFoundError as RunNotFoundError,
        UnknownBackendError as UnknownBackendError,
        ValidationError as ValidationError,
        WorkerLostError as WorkerLostError,
    )
    from synapse_core.execution import (
        run_action as run_action,
        run_action_async as run_action_async,
        run_to_outcome as run_to_outcome,
    )
    from synapse_core.model.enums import (
        ExecutionMode as ExecutionMode,
        LogLevel as LogLevel,
        PackageManager as PackageManager,
        PluginCategory as PluginCategory,
        RunMethod as RunMethod,
    )
    from synapse_core.model.outcome import ErrorData as ErrorData, Outcome as Outcome
    from synapse_core.model.pipeline import Checkpoint as Checkpoint
    from synapse_core.model.progress import ActionProgress as ActionProgress, PipelineProgress as PipelineProgress
    from synapse_core.model.references import ActionReference as ActionReference, PluginReference as PluginReference
    from synapse_core.model.resources import Resources as Resources
    from synapse_core.model.status import ActionStatus as ActionStatus, JobStatus as JobStatus, RunStatus as RunStatus
    from synapse_core.model.tagged import PlainData as PlainData, decode as decode, encode as encode
    from synapse_core.plugins.descriptions import (
        CheckDescription as CheckDescription,
        CommandDescription as CommandDescription,
        EngineDescription as EngineDescription,
        ExecutorDescription as ExecutorDescription,
        RunStoreDescription as RunStoreDescription,
        SinkDescription as SinkDescription,
    )
    from synapse_core.plugins.hookspecs import hookimpl as hookimpl
    from synapse_core.plugins.registry import Registry as Registry, registry as registry
    from synapse_core.ports.engine import RecordEngine as RecordEngine
    from synapse_core.ports.events import (
        DevEvent as DevEvent,
        Event as Event,
        EventSink as EventSink,
        LogEvent as LogEvent,
        MessageEvent as MessageEvent,
        MetricEvent as MetricEvent,
        MetricsEvent as MetricsEvent,
        NullSink as NullSink,
        ProgressEvent as ProgressEvent,
        RecordingSink as RecordingSink,
        VisualizationEvent as VisualizationEvent,
    )
    from synapse_core.ports.executor import (
        Capabilities as Capabilities,
        ExecutorProtocol as ExecutorProtocol,
        FollowableExecutor as FollowableExecutor,
        JobExecutorProtocol as JobExecutorProtocol,
        PipelineExecutorProtocol as PipelineExecutorProtocol,
        StatedCapabilities as StatedCapabilities,
    )
    from synapse_core.ports.run_store import RunStore as RunStore
    from synapse_core.resolution import ResolvedAction as ResolvedAction, resolve_action as resolve_action
    from synapse_core.runner import discover as discover, run_plugin as run_plugin

__getattr__, __dir__ = lazy_exports(
    __name__,
    {
        "synapse_core.actions": (
            "BaseAction",
            "action",
        ),
        "synapse_core.config": (
            "ActionConfig",
            "PluginConfig",
        ),
        "synapse_core.config_file": ("ConfigWarning",),
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
            "LeaseLostError",
            "PluginError",
            "PluginNotFoundError",
            "RunNotFoundError",
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
        "synapse_core.model.references": ("ActionReference", "PluginReference"),
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
            "SinkDescription",
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
            "FollowableExecutor",
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
    "ActionReference",
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
    "FollowableExecutor",
    "JobExecutorProtocol",
    "JobExistsError",
    "JobNotFoundError",
    "JobStatus",
    "LeaseLostError",
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
    "PluginReference",
    "ProgressEvent",
    "RecordEngine",
    "RecordingSink",
    "Registry",
    "ResolvedAction",
    "Resources",
    "RunMethod",
    "RunNotFoundError",
    "RunStatus",
    "RunStore",
    "RunStoreDescription",
    "RuntimeContext",
    "SinkDescription",
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
