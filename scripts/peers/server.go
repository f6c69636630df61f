// A peer for the clients: Go's net/http, with an answer for each thing that a client has to get right.
//
//	server LISTEN [LISTEN-TLS CERT KEY]
//
// Prints "listening on ADDR" for each address, the plain one first.
package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What arrived, for the caller to compare.
func echo(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	n, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"method": r.Method, "target": r.RequestURI, "host": r.Host, "length": r.ContentLength,
		"received": n, "sha256": fmt.Sprintf("%x", sum.Sum(nil)), "headers": r.Header, "trailers": r.Trailer,
		"remote": r.RemoteAddr, "tls": r.TLS != nil,
	})
}

// /redirect/N leads through N redirects to /redirect/0.
func redirect(w http.ResponseWriter, r *http.Request) {
	n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/redirect/"))
	if err != nil || n <= 0 {
		fmt.Fprintln(w, "arrived")
		return
	}
	http.Redirect(w, r, fmt.Sprintf("/redirect/%d", n-1), http.StatusFound)
}

// /to/STATUS?URL redirects there.
func to(w http.ResponseWriter, r *http.Request) {
	status, _ := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/to/"))
	w.Header().Set("Location", r.URL.RawQuery)
	w.WriteHeader(status)
	fmt.Fprintln(w, "elsewhere")
}

func trailers(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Trailer", "X-Sum")
	sum := sha256.New()
	out := io.MultiWriter(w, sum)
	for i := 0; i < 100; i++ {
		fmt.Fprintf(out, "line %d\n", i)
		w.(http.Flusher).Flush()
	}
	w.Header().Set("X-Sum", fmt.Sprintf("%x", sum.Sum(nil)))
	w.Header().Set(http.TrailerPrefix+"X-Unannounced", "yes")
}

func hints(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < 3; i++ {
		w.Header().Set("Link", fmt.Sprintf("</%d.css>; rel=preload", i))
		w.WriteHeader(http.StatusEarlyHints)
	}
	w.Header().Del("Link")
	fmt.Fprintln(w, "hinted")
}

func auth(w http.ResponseWriter, r *http.Request) {
	user, password, ok := r.BasicAuth()
	if !ok || user != "ann" || password != "s:cret" {
		w.Header().Set("WWW-Authenticate", `Basic realm="interop"`)
		http.Error(w, "who are you?", http.StatusUnauthorized)
		return
	}
	fmt.Fprintln(w, "hello, ann")
}

func setCookies(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.URL.Query() {
		http.SetCookie(w, &http.Cookie{Name: name, Value: values[0], Path: "/", MaxAge: 3600})
	}
	http.SetCookie(w, &http.Cookie{Name: "elsewhere", Value: "x", Domain: "example.com"})
	http.SetCookie(w, &http.Cookie{Name: "narrow", Value: "x", Path: "/set"})
	http.Redirect(w, r, "/cookies", http.StatusFound)
}

func cookies(w http.ResponseWriter, r *http.Request) {
	for _, c := range r.Cookies() {
		fmt.Fprintf(w, "%s=%s\n", c.Name, c.Value)
	}
}

func form(w http.ResponseWriter, r *http.Request) {
	parts, err := r.MultipartReader()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for {
		part, err := parts.NextPart()
		if err == io.EOF {
			return
		}
		if err != nil {
			fmt.Fprintf(w, "broken: %v\n", err)
			return
		}
		sum := sha256.New()
		n, _ := io.Copy(sum, part)
		fmt.Fprintf(w, "%s %q %s %d %x\n", part.FormName(), part.FileName(), part.Header.Get("Content-Type"), n, sum.Sum(nil))
	}
}

var (
	mu    sync.Mutex
	tries = map[string]int{}
)

// /flaky/N/KEY answers 503 N times for each key.
func flaky(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(r.URL.Path, "/")
	n, _ := strconv.Atoi(parts[2])
	mu.Lock()
	tries[r.URL.Path]++
	try := tries[r.URL.Path]
	mu.Unlock()
	if try <= n {
		http.Error(w, "not now", http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintf(w, "try %d\n", try)
}

// /drip sends a byte every 100 ms for a minute.
func drip(w http.ResponseWriter, r *http.Request) {
	for i := 0; i < 600; i++ {
		w.Write([]byte("."))
		w.(http.Flusher).Flush()
		select {
		case <-time.After(100 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// /refuse answers before it has read the body.
func refuse(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close")
	http.Error(w, "too much", http.StatusRequestEntityTooLarge)
}

// /reset gives a head and half a body.
func reset(w http.ResponseWriter, r *http.Request) {
	conn, out, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	out.WriteString("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
	out.Flush()
	conn.(*net.TCPConn).SetLinger(0)
	conn.Close()
}

func main() {
	handle := http.NewServeMux()
	for path, f := range map[string]http.HandlerFunc{
		"/echo": echo, "/redirect/": redirect, "/to/": to, "/trailers": trailers, "/hints": hints, "/auth": auth,
		"/set": setCookies, "/cookies": cookies, "/form": form, "/flaky/": flaky, "/drip": drip, "/refuse": refuse,
		"/reset": reset,
	} {
		handle.HandleFunc(path, f)
	}
	plain, err := net.Listen("tcp", os.Args[1])
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on %s\n", plain.Addr())
	quiet := log.New(io.Discard, "", 0)
	if len(os.Args) > 4 {
		tls, err := net.Listen("tcp", os.Args[2])
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("listening on %s\n", tls.Addr())
		server := &http.Server{Handler: handle, ErrorLog: quiet}
		go server.ServeTLS(tls, os.Args[3], os.Args[4])
	}
	log.Fatal((&http.Server{Handler: handle, ErrorLog: quiet}).Serve(plain))
}
