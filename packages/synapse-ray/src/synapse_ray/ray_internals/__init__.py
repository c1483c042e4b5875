"""What Ray has no public interface for. Nothing else in synapse_ray touches a private name of Ray.

Each function says what it stands in for, and works on every Ray version that the package allows; a test of the
oldest and the newest runs all of them.
"""

from synapse_ray.ray_internals.clusters import (
    actor_is_accepted,
    cluster_id_at,
    cluster_id_of_connection,
    cluster_may_grow,
    control_store,
    dashboard_of_cluster,
    dashboard_of_connection,
    death_of_actor,
    ray_version_at,
    running_cluster,
)
from synapse_ray.ray_internals.connections import (
    client_address,
    connection_mark,
    is_client_connection,
    is_connected_cluster,
    let_shutdown_wait_for,
    without_uv_run_environment,
)
from synapse_ray.ray_internals.kept import (
    drop_parcel,
    get_parcel,
    has_package,
    pin_package,
    put_package,
    put_parcel,
    take_secret,
)
from synapse_ray.ray_internals.processes import (
    forget_job_environment,
    is_inside_worker,
    log_folder_writer,
    session_folder,
    set_command_line,
    shows_worker_output,
)

__all__ = [
    "actor_is_accepted",
    "client_address",
    "cluster_id_at",
    "cluster_id_of_connection",
    "cluster_may_grow",
    "connection_mark",
    "control_store",
    "dashboard_of_cluster",
    "dashboard_of_connection",
    "death_of_actor",
    "drop_parcel",
    "forget_job_environment",
    "get_parcel",
    "has_package",
    "is_client_connection",
    "is_connected_cluster",
    "is_inside_worker",
    "let_shutdown_wait_for",
    "log_folder_writer",
    "pin_package",
    "put_package",
    "put_parcel",
    "ray_version_at",
    "running_cluster",
    "session_folder",
    "set_command_line",
    "shows_worker_output",
    "take_secret",
    "without_uv_run_environment",
]
