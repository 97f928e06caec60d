"""The web page: a face and its muscles, `duchenne serve`.

The page composes no pipeline: it asks `service`, and `service` asks the library.

    settings     limits, and who may come in
    connections  time limits, and a share for each address
    guard        what a request must be before anything looks at it
    bodies       what is sent, within limits of size and of time
    visitors     who is there, their files, and when both go
    jobs         the long work, one at a time, with a visible queue
    suggest      a random plausible expression
    recipe       what the sliders show, as a command line and as Python
    motions      keyframes and recordings from the page, as the library's timelines
    service      every call of the library, by one thread at a time
    tasks        the long work, stage by stage
    asked_for    what requests say, checked
    pages        the page itself, and what it is told of this server
    routes       what the page can ask for
    app          all of it together, and the server
"""
