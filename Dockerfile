# The edgerun agent for linux/arm64 and linux/amd64: docker build -t edgerun-agent .
# Everything comes as wheels, so nothing is compiled and no Debian package is added. sh and tar stay in the image:
# CHI@Edge uploads files by running tar in the container.
ARG BASE=python:3.11-slim-bookworm

# What of edgerun goes in: --build-arg EXTRAS=server,openvino,onnx adds runtimes.
ARG EXTRAS=server

# For a base whose Python is missing or older than 3.11, such as NVIDIA's for Jetsons: the .tar.gz of a CPython that runs
# from any folder, as supplied/FILE.
ARG PYTHON=

# Wheels besides, each as supplied/FILE or a URL; an ONNX Runtime among them need not be the version of constraints.txt.
ARG WHEELS=

FROM ${BASE} AS build
ARG EXTRAS
ARG PYTHON
ARG WHEELS
ENV PATH=/opt/python/bin:$PATH
WORKDIR /src
COPY supplied supplied
RUN mkdir -p /opt/python && if [ -n "${PYTHON}" ]; then tar -xzf "${PYTHON}" -C /opt/python --strip-components 1; fi
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY contract contract
COPY image_model image_model
COPY web web
COPY server server
COPY client client
COPY provisioning provisioning
# Into an environment without pip: the agent never installs anything. The last line fails on a base that is too old for
# the runtime, with the library that is missing.
RUN python3 -m venv --without-pip /opt/edgerun \
    && if [ -n "${WHEELS}" ]; then sed -i '/^onnxruntime/d' constraints.txt; fi \
    && python3 -m pip --python /opt/edgerun/bin/python install --no-cache-dir --only-binary=:all: \
        -c constraints.txt ".[${EXTRAS}]" ${WHEELS} \
    && /opt/edgerun/bin/python -m compileall -q /opt/edgerun/lib \
    && /opt/edgerun/bin/python -c "import ai_edge_litert.interpreter"

FROM ${BASE}
COPY --from=build /opt/python /opt/python
COPY --from=build /opt/edgerun /opt/edgerun
RUN mkdir /data && chown 10001:10001 /data
ENV PATH=/opt/edgerun/bin:$PATH \
    HOME=/data \
    EDGERUN_DATA=/data \
    PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /data
VOLUME /data
EXPOSE 8080
# Ten seconds: a probe takes a few on a slow board under load.
HEALTHCHECK --interval=15s --timeout=10s --start-period=60s --retries=3 CMD ["python", "-m", "server.http.probe"]
CMD ["server"]
