# Customer Genome, from the runtime lock: `docker build --tag customer-genome .`
FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements.runtime.lock ./
RUN python -m venv /opt/genome \
    && /opt/genome/bin/pip install --no-cache-dir --require-hashes --requirement requirements.runtime.lock
COPY . .
RUN /opt/genome/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
# libgomp1 is LightGBM's. Its version is that of the base image's release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 10001 genome \
    && install --directory --owner genome --mode 700 /data
COPY --from=build /opt/genome /opt/genome
ENV PATH=/opt/genome/bin:$PATH GENOME_CONFIG=/config/genome.toml GENOME_HOME=/data DAGSTER_HOME=/data/dagster
USER 10001
WORKDIR /data
CMD ["genome", "run"]
