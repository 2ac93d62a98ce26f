# The edgerun agent for linux/arm64 and linux/amd64: docker build -t edgerun-agent .
# Everything comes as wheels, so nothing is compiled and no Debian package is added. sh and tar stay in the image:
# CHI@Edge uploads files by running tar in the container.
ARG BASE=python:3.11-slim-bookworm

# What of edgerun goes in: --build-arg EXTRAS=server,openvino,onnx adds runtimes.
ARG EXTRAS=server

FROM ${BASE} AS build
ARG EXTRAS
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY contract contract
COPY image_model image_model
COPY web web
COPY server server
COPY client client
COPY provisioning provisioning
# Into an environment without pip: the agent never installs anything.
RUN python -m venv --without-pip /opt/edgerun \
    && pip --python /opt/edgerun/bin/python install --no-cache-dir --only-binary=:all: \
        -c constraints.txt ".[${EXTRAS}]" \
    && /opt/edgerun/bin/python -m compileall -q /opt/edgerun/lib

FROM ${BASE}
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
