"""Which stage is becoming the bottleneck, and why: detection with a stated budget of false alarms. Pure.

| module | what |
|---|---|
| `business_time` | which time counts: a calendar, or the rhythm that the stream itself shows |
| `history` | hours of a stage as they are counted: the only input |
| `baseline`, `gaps` | what is usual: service rate by WIP, arrivals, how regular they are |
| `cusum`, `thresholds` | the evidence, and how much of it is an alarm at a budget of false alarms |
| `stage_watch`, `stream_watch` | one step an hour: the state of a stage, of a stream |
| `follow`, `past` | what is remembered from look to look, and whether the past still is what it was |
| `ageing` | what can be said where too little leaves: an item that is too old |
| `walk` | of the stages in alarm, the one that constrains the stream |
| `verdict` | what readers are told |
"""
