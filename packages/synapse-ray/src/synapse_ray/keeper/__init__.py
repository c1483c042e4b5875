"""The keeper: one small actor per cluster that holds the jobs' ids, statuses, logs and outcomes.

``records`` is what both sides know, ``store`` and ``files`` are where it is kept; ``actor``, ``watch`` and ``bell`` run
on the head. ``client``, ``making``, ``answers`` and ``log_lines`` are the side of those who ask, ``worker_link`` and
``delivery`` that of a job's worker.
"""
