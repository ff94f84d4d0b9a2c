# The runtime of GraphMER-SE: docker build -t graphmer . && docker run -v "$PWD/src:/src" graphmer run /src
FROM python:3.11-slim
RUN apt-get update && apt-get install -y --no-install-recommends git make && rm -rf /var/lib/apt/lists/*
WORKDIR /graphmer
COPY . .
RUN make .venv/.runtime
ENV PATH="/graphmer/.venv/bin:$PATH"
ENTRYPOINT ["graphmer"]
CMD ["--help"]
