module verify

go 1.27

require golang.org/x/mod v0.7.0

// Where Debian's golang-golang-x-mod-dev puts it; no module proxy is asked.
replace golang.org/x/mod => /usr/share/gocode/src/golang.org/x/mod
