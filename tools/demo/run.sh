#!/bin/sh
# Fills the demo catalogue on first start, then serves it. usage: run.sh VITRINE DATA PORT
set -eu
vitrine=$1 data=$2 port=$3
model=demo/model
unfinished=$data/demo-import-unfinished # an interrupted first start is taken up again
if [ ! -f "$data/catalog.db" ] || [ -f "$unfinished" ]; then
    echo "First start: importing the demo catalogue into $data/"
    mkdir -p "$data" && touch "$unfinished"
    "$vitrine" import demo/catalogue.jsonl --data "$data" --model "$model"
    rm "$unfinished"
fi
cat <<TXT

Try, in another terminal:
  curl -s localhost:$port/api/v1/search -H 'Content-Type: application/json' \\
       -d '{"text_query": "red shirt", "top_k": 3}'
  curl -s localhost:$port/api/v1/search -F image=@demo/images/mug-red-plain-01.webp -F top_k=3
  curl -s 'localhost:$port/api/v1/products?limit=2'
  curl -s localhost:$port/readyz
Ctrl-C stops it.

TXT
exec "$vitrine" serve --data "$data" --model "$model" --port "$port"
