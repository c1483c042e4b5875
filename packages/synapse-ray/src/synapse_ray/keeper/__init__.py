"""The keeper: one small actor per cluster that holds the jobs' ids, statuses, logs and outcomes.

``records`` is what both sides know, ``store`` and ``files`` are where it is kept, ``actor`` and ``watch`` run on the
head, ``client`` is the side of those who ask, ``worker_link`` and ``delivery`` are that of a job's worker.
"""
