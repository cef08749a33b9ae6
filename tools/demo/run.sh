#!/bin/sh
# Fills the demo catalogue on first start, then serves it. usage: run.sh VITRINE DATA PORT
set -eu
vitrine=$1 data=$2 port=$3
model=demo/model
if [ ! -f "$data/catalog.db" ]; then
    echo "First start: importing the demo catalogue into $data/"
    "$vitrine" import demo/catalogue.jsonl --data "$data" --model "$model"
fi
cat <<TXT

Try, in another terminal:
  curl -s localhost:$port/api/v1/search -H 'Content-Type: application/json' \\
       -d '{"text_query": "red shirt", "top_k": 3}'
  curl -s localhost:$port/api/v1/search -F image=@demo/images/$(ls demo/images | head -n 1) -F top_k=3
  curl -s localhost:$port/api/v1/products?limit=2
  curl -s localhost:$port/readyz
Ctrl-C stops it.

TXT
exec "$vitrine" serve --data "$data" --model "$model" --port "$port"
