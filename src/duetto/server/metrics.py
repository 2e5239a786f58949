"""What `/metrics` shows, in the text format of Prometheus; no label holds anything that a client chose."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 1, 2, 5, 10, 30, 60, 300)


class Metrics:
    """Counters of one server.

    Attributes:
        requests: HTTP requests by route and status.
        seconds: Their duration by route.
        uploads: Uploads that are being analysed or wait for it.
        spooled: Bytes of uploads in memory.
        streams: Open streams.
        opened: Streams by how they ended.
        audio: Seconds of sound that came over streams.
        measurements: Measurements of streams by trigger.
        latency: Seconds from the last sound that a measurement needs to the measurement, by trigger.
        errors: Errors by name.
    """

    requests: Counter
    seconds: Histogram
    uploads: Gauge
    spooled: Gauge
    streams: Gauge
    opened: Counter
    audio: Counter
    measurements: Counter
    latency: Histogram
    errors: Counter

    def __init__(self) -> None:
        own = self._registry = CollectorRegistry()
        self.requests = Counter("duetto_requests", "HTTP requests", ["route", "status"], registry=own)
        self.seconds = Histogram(
            "duetto_request_seconds", "Duration of HTTP requests", ["route"], buckets=_SECONDS, registry=own
        )
        self.uploads = Gauge("duetto_uploads", "Uploads being analysed, or waiting for it", registry=own)
        self.spooled = Gauge("duetto_spooled_bytes", "Bytes of uploads in memory", registry=own)
        self.streams = Gauge("duetto_streams", "Open streams", registry=own)
        self.opened = Counter("duetto_streams_ended", "Streams that ended, by reason", ["reason"], registry=own)
        self.audio = Counter("duetto_stream_audio_seconds", "Sound that came over streams", registry=own)
        self.measurements = Counter("duetto_measurements", "Measurements of streams", ["trigger"], registry=own)
        self.latency = Histogram(
            "duetto_measurement_seconds",
            "From the arrival of the last sound that a measurement needs to its sending",
            ["trigger"],
            buckets=_SECONDS,
            registry=own,
        )
        self.errors = Counter("duetto_errors", "Errors, by name", ["code"], registry=own)

    def text(self) -> bytes:
        """Write the current values.

        Returns:
            The body of `GET /metrics`.
        """
        return generate_latest(self._registry)
