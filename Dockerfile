# One image for every process: the command chooses. It holds the packages and the program, no compiler and no pip cache.
# BASE: Debian with Python 3.11 or later as `python`. Name a digest where builds must be the same for ever.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
# The compiler stays behind in this stage: it may be whatever version the base's Debian has.
# hadolint ignore=DL3008
RUN apt-get update \
 && apt-get install --yes --no-install-recommends gcc libc6-dev \
 && rm -rf /var/lib/apt/lists/* \
 && python -m venv /opt/build \
 && python -m venv --without-pip /opt/streamgauge

# The packages change less often than the program: their layer stays when only the program changes.
COPY requirements/build.txt requirements/compiler.txt requirements/runtime.txt requirements/
RUN /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt --requirement requirements/compiler.txt \
 && /opt/build/bin/pip --python /opt/streamgauge/bin/python install --require-hashes --requirement requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY flow flow
COPY consumers consumers
COPY service service
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/streamgauge/bin/python install --no-deps --no-index /wheels/*.whl

# What every fact passes through runs compiled: Python takes the libraries before the sources beside them.
COPY deploy/compile_flow.py deploy/
RUN packages="$(/opt/streamgauge/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')" \
 && PYTHONPATH="$packages" /opt/build/bin/python deploy/compile_flow.py /compiled --into "$packages"

FROM ${BASE}
# The folder of the data is there and its own, so that a new volume at this place is too.
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin streamgauge \
 && install --directory --owner=10001 --group=10001 --mode=0750 /var/lib/streamgauge /var/lib/streamgauge/spool
COPY --from=builder /opt/streamgauge /opt/streamgauge
COPY deploy/create_topics.py /opt/streamgauge/deploy/
ENV PATH=/opt/streamgauge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 STREAMGAUGE_DATA=/var/lib/streamgauge
WORKDIR /
USER 10001:10001
EXPOSE 8080
# Asks the process that runs here: an HTTP process for /healthz, a worker whether it tells of itself.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "service.health_check"]
# The exec form: the program itself gets SIGTERM, and can finish what it has begun.
ENTRYPOINT ["streamgauge"]
CMD ["--help"]
