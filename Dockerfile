# One image for every process: the command chooses. It holds the packages and the program, no compiler and no pip cache.

FROM python:3.11-slim AS builder
ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
WORKDIR /build
RUN python -m venv /opt/build && python -m venv --without-pip /opt/streamgauge

# The packages change less often than the program: their layer stays when only the program changes.
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN /opt/build/bin/pip install --require-hashes --requirement requirements/build.txt \
 && /opt/build/bin/pip --python /opt/streamgauge/bin/python install --require-hashes --requirement requirements/runtime.txt

COPY pyproject.toml README.md LICENSE ./
COPY flow flow
COPY consumers consumers
COPY service service
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /opt/build/bin/pip --python /opt/streamgauge/bin/python install --no-deps --no-index /wheels/*.whl

FROM python:3.11-slim
RUN useradd --system --uid 10001 --user-group --no-create-home --shell /usr/sbin/nologin streamgauge
COPY --from=builder /opt/streamgauge /opt/streamgauge
ENV PATH=/opt/streamgauge/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
WORKDIR /
USER 10001:10001
# The exec form: the program itself gets SIGTERM, and can finish what it has begun.
ENTRYPOINT ["streamgauge"]
CMD ["--help"]
