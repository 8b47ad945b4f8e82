"""Every number the sidecar counts; the one home of prometheus_client.

Names end in their unit. Labels are closed sets: never a stream id (unbounded).
"""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)

_LEG_BUCKETS: Final = (
    *(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 120.0),
)
_BATCH_BUCKETS: Final = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128)

LEGS: Final = (
    "receive",  # first packet to whole access unit
    "decode",  # whole access unit to array
    "queue",  # array to start of its batch
    "inference",  # the batch on the engine
    "decide",  # scores to actions
    "outbox",  # action to disk
    "publish",  # disk to the broker's acknowledgement
    "enforce",  # acknowledgement to an enforcer's `enforced`
    "packet_to_broker",  # first packet to the broker's acknowledgement
)


class Stats:
    """All counters of one sidecar, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        reg = self.registry
        self.lost = Counter(
            "sidecar_lost_total",
            "Things given up on purpose or by force, by stage and reason.",
            ("stage", "reason"),
            registry=reg,
        )
        self.leg_seconds = Histogram(
            "sidecar_leg_seconds",
            "Seconds spent in each leg from packet to enforcement.",
            ("leg",),
            buckets=_LEG_BUCKETS,
            registry=reg,
        )
        self._ingest(reg)
        self._classify(reg)
        self._decide(reg)
        self._publish(reg)
        self._oversee(reg)

    def _ingest(self, reg: CollectorRegistry) -> None:
        self.streams = Gauge(
            "sidecar_streams", "Streams by supervisor state.", ("state",), registry=reg
        )
        self.access_units = Counter(
            "sidecar_access_units_total",
            "Whole encoded pictures received.",
            ("codec", "keyframe"),
            registry=reg,
        )
        self.reconnects = Counter(
            "sidecar_reconnects_total",
            "Connections lost or refused, to be tried again.",
            ("source",),
            registry=reg,
        )
        self.keyframe_requests = Counter(
            "sidecar_keyframe_requests_total", "PLIs sent.", registry=reg
        )
        self.gate_closed_seconds = Counter(
            "sidecar_gate_closed_seconds_total",
            "Stream-seconds during which media packets were kept out on purpose.",
            registry=reg,
        )
        self.gate_openings = Counter(
            "sidecar_gate_openings_total",
            "Times media packets were let in again.",
            registry=reg,
        )
        self.gate_unaided = Counter(
            "sidecar_gate_unaided_total",
            "Times the kernel could not keep media out: all is read, then dropped.",
            registry=reg,
        )
        self.decoding_streams = Gauge(
            "sidecar_decoding_streams",
            "Connected streams by what is decoded of them: keyframes, all.",
            ("decode",),
            registry=reg,
        )
        self._sample(reg)
        self._workers(reg)
        self.http_refusals = Counter(
            "sidecar_http_refusals_total",
            "Requests refused at the door.",
            ("endpoint", "status"),
            registry=reg,
        )

    def _sample(self, reg: CollectorRegistry) -> None:
        self.samples_due = Counter(
            "sidecar_samples_due_total",
            "Samples that fell due: connected time over the interval then in force.",
            registry=reg,
        )
        self.samples_taken = Counter(
            "sidecar_samples_taken_total",
            "Samples taken by what was decoded for them: keyframe, all, audit.",
            ("by",),
            registry=reg,
        )
        self.pictures = Counter(
            "sidecar_pictures_total",
            "Pictures for the model by where they were put: slot, own (no slot free).",
            ("memory",),
            registry=reg,
        )
        self.openings = Counter(
            "sidecar_openings_total",
            "Rests that ended for an expected keyframe, by outcome: met, missed.",
            ("outcome",),
            registry=reg,
        )
        self.put_off = Counter(
            "sidecar_listening_put_off_total",
            "Times a stream had to wait for its turn to find its keyframes.",
            registry=reg,
        )
        self.audits = Counter(
            "sidecar_audits_total",
            "Audits between keyframes by outcome: done, given_up.",
            ("outcome",),
            registry=reg,
        )

    def _workers(self, reg: CollectorRegistry) -> None:
        self.workers = Gauge(
            "sidecar_workers",
            "Worker processes by state: running, starting, down.",
            ("state",),
            registry=reg,
        )
        self.worker_streams = Gauge(
            "sidecar_worker_streams",
            "Connections in each worker process.",
            ("worker",),
            registry=reg,
        )
        self.worker_losses = Counter(
            "sidecar_worker_losses_total",
            "Worker processes that ended without being told to.",
            ("worker",),
            registry=reg,
        )
        self.worker_lost_streams = Counter(
            "sidecar_worker_lost_streams_total",
            "Connections that ended with their worker process.",
            registry=reg,
        )

    def _classify(self, reg: CollectorRegistry) -> None:
        self.samples = Counter(
            "sidecar_samples_total",
            "Samples by outcome: scored, error, given_way, stale.",
            ("outcome",),
            registry=reg,
        )
        self.batch_size = Histogram(
            "sidecar_batch_size",
            "Samples in a batch.",
            buckets=_BATCH_BUCKETS,
            registry=reg,
        )
        self.engine_errors = Counter(
            "sidecar_engine_errors_total", "Batches the engine failed.", registry=reg
        )

        self.engine_info = Gauge(
            "sidecar_engine_info",
            "1 for each model: what it runs on, and what was asked for.",
            ("model", "provider", "asked", "precision", "threads", "callers"),
            registry=reg,
        )
        self._models(reg)

    def _models(self, reg: CollectorRegistry) -> None:
        self.model_swaps = Counter(
            "sidecar_model_swaps_total",
            "New models by outcome: swapped, refused (by comparison), failed to load.",
            ("outcome",),
            registry=reg,
        )
        self.remote_batches = Counter(
            "sidecar_remote_batches_total",
            "Batches for a remote engine: answered, retried, fallback, failed.",
            ("outcome",),
            registry=reg,
        )
        self.remote_endpoints = Gauge(
            "sidecar_remote_endpoints",
            "Servers of remote engines by state: up, down.",
            ("state",),
            registry=reg,
        )
        self.canaries = Counter(
            "sidecar_canaries_total",
            "Test cards sent through the real path, by outcome: seen, missed.",
            ("outcome",),
            registry=reg,
        )
        self.unchanged = Counter(
            "sidecar_unchanged_total",
            "Samples whose scores were kept: equal to the one classified last.",
            registry=reg,
        )

    def _decide(self, reg: CollectorRegistry) -> None:
        self.verdict_streams = Gauge(
            "sidecar_verdict_streams",
            "Streams by present verdict and, if unknown, reason.",
            ("verdict", "reason"),
            registry=reg,
        )
        self.coverage_seconds = Counter(
            "sidecar_coverage_seconds_total",
            "Stream-seconds spent under each verdict and reason.",
            ("verdict", "reason"),
            registry=reg,
        )
        self.unseen_age_seconds = Gauge(
            "sidecar_unseen_age_seconds",
            "Longest time since any watched stream's last classified sample.",
            registry=reg,
        )
        self.actions = Counter(
            "sidecar_actions_total",
            "Actions decided.",
            ("action", "category", "dry_run"),
            registry=reg,
        )
        self.recorded = Counter(
            "sidecar_recorded_entries_total",
            "Entries written to a recording.",
            registry=reg,
        )
        self.policy_reloads = Counter(
            "sidecar_policy_reloads_total",
            "Policy reloads by outcome: swapped, refused.",
            ("outcome",),
            registry=reg,
        )

    def _publish(self, reg: CollectorRegistry) -> None:
        self.broker_connected = Gauge(
            "sidecar_broker_connected", "1 while the broker is connected.", registry=reg
        )
        self.published = Counter(
            "sidecar_published_total",
            "Messages by kind and outcome: delivered, refused, retried, expired.",
            ("kind", "outcome"),
            registry=reg,
        )
        self.outbox_depth = Gauge(
            "sidecar_outbox_depth", "Actions not yet delivered.", registry=reg
        )
        self.outbox_oldest_seconds = Gauge(
            "sidecar_outbox_oldest_seconds",
            "Age of the oldest undelivered action.",
            registry=reg,
        )
        self.acks = Counter(
            "sidecar_acks_total",
            "Enforcers' acknowledgements by state.",
            ("state",),
            registry=reg,
        )
        self.inbound = Counter(
            "sidecar_inbound_total",
            "Inbound MQTT messages by kind and outcome: accepted, refused.",
            ("kind", "outcome"),
            registry=reg,
        )

    def _oversee(self, reg: CollectorRegistry) -> None:
        self.page_readers = Gauge(
            "sidecar_page_readers", "Pages that are kept up to date.", registry=reg
        )
        self.shadow_actions = Counter(
            "sidecar_shadow_actions_total",
            "Actions that a shadow policy would have asked for; none was sent.",
            ("action", "category"),
            registry=reg,
        )
        self.outcomes = Counter(
            "sidecar_outcomes_total",
            "Reviewers' outcomes by rule: confirm, clear.",
            ("policy", "rule", "outcome"),
            registry=reg,
        )
        self.overturn_ratio = Gauge(
            "sidecar_overturn_ratio",
            "Cleared over reviewed actions of a rule, since the start.",
            ("policy", "rule"),
            registry=reg,
        )
        self.paused_streams = Gauge(
            "sidecar_paused_streams",
            "Streams whose automation a person has paused.",
            registry=reg,
        )

    def sums(self) -> dict[str, Counter | Gauge]:
        """What several processes' numbers add up to, by attribute."""
        found = vars(self).items()
        return {key: one for key, one in found if isinstance(one, Counter | Gauge)}

    def gauges(self) -> dict[str, Gauge]:
        """Those of the sums that hold only while their process lives."""
        return {key: one for key, one in vars(self).items() if isinstance(one, Gauge)}

    def render(self) -> bytes:
        """The Prometheus text exposition, version 0.0.4."""
        return generate_latest(self.registry)
