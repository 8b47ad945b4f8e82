# Each RUN is one plain command: `.ci/docker_steps` runs the same ones in a clean folder.

FROM python:3.11.13-slim-bookworm AS build
# What the models run on: requirements.lock for CPUs, requirements-gpu.lock for NVIDIA,
# requirements-openvino.lock for Intel; requirements-remote.lock for CPUs and, by
# engine.remote, servers elsewhere.
ARG LOCK=requirements.lock
WORKDIR /src
RUN python -m venv /opt/sidecar
COPY ${LOCK} ./requirements.lock
RUN /opt/sidecar/bin/python -m pip install --no-cache-dir --disable-pip-version-check --require-hashes -r requirements.lock
COPY LICENSE README.md pyproject.toml ./
COPY models ./models
COPY sidecar ./sidecar
RUN /opt/sidecar/bin/python -m pip install --no-cache-dir --disable-pip-version-check --no-deps .
RUN /opt/sidecar/bin/sidecar version
RUN /opt/sidecar/bin/sidecar models verify testcard

FROM python:3.11.13-slim-bookworm
COPY --from=build /opt/sidecar /opt/sidecar
RUN install -d -o 10001 -g 10001 -m 0700 /var/lib/sidecar
ENV PATH=/opt/sidecar/bin:/usr/local/bin:/usr/bin:/bin \
    HOME=/var/lib/sidecar \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/sidecar
VOLUME ["/var/lib/sidecar"]
# 8080: control API and metrics; 8081: WHIP, if configured.
EXPOSE 8080 8081
STOPSIGNAL SIGTERM
# Readiness needs no token. With control.tls or another port, give --health-cmd yourself.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s --retries=3 \
  CMD ["python", "-c", "import http.client as h, sys; c = h.HTTPConnection('127.0.0.1', 8080, timeout=3); c.request('GET', '/readyz'); sys.exit(c.getresponse().status != 200)"]
ENTRYPOINT ["sidecar"]
CMD ["run", "/etc/sidecar/config.yaml"]
