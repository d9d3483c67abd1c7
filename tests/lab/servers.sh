# shellcheck shell=bash
# Variables come from lib.sh and lab.sh.
# shellcheck disable=SC2154
# Servers that are not ours in the responder's namespace: nginx, coturn, libnice. Source it behind lab.sh.

web_name=meet.example
turn_name=turn.example
# A name that the web server has no certificate for, and refuses.
nobody_name=nobody.example
turn_realm=realm.example
ca_name="Everyport Lab CA"
ice_ufrag=labufrag
ice_pwd=labpasswordlabpassword

# A certificate of one's own authority: $tmp/ca.pem signs $tmp/web.pem for both names.
make_certificate()
{
	openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 40 -subj "/CN=$ca_name" \
		-keyout "$tmp/ca.key" -out "$tmp/ca.pem" 2>/dev/null
	openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$web_name" -keyout "$tmp/web.key" \
		-out "$tmp/web.csr" 2>/dev/null
	openssl x509 -req -in "$tmp/web.csr" -CA "$tmp/ca.pem" -CAkey "$tmp/ca.key" -CAcreateserial -days 30 \
		-extfile <(echo "subjectAltName=DNS:$web_name,DNS:$turn_name") -out "$tmp/web.pem" 2>/dev/null
}

# port_is_taken tcp|udp PORT: whether somebody in the responder's namespace has it.
port_is_taken()
{
	"$lab" exec responder ss -Hln "--$1" "sport = :$2" | grep -q .
}

# taken TRANSPORT:PORT...: wait for each.
taken()
{
	local item

	for item in "$@"; do
		wait_for 10 port_is_taken "${item%:*}" "${item#*:}" || echo "# nobody has ${item/:/ port }"
	done
}

# HTTP on 80; on 443 the name that a client asks for decides, as in front of LiveKit: TURN goes to coturn's 5349, a name that nobody has
# is refused, the rest goes to HTTPS. On 9003 a proxy whose backend is down.
start_nginx()
{
	mkdir -p "$tmp/nginx"
	cat >"$tmp/nginx/nginx.conf" <<-END
		load_module /usr/lib/nginx/modules/ngx_stream_module.so;
		daemon off;
		user root;
		pid $tmp/nginx/pid;
		error_log $tmp/nginx/error.log;
		worker_processes 1;
		events { worker_connections 1024; }
		http {
			access_log off;
			client_body_temp_path $tmp/nginx/body;
			proxy_temp_path $tmp/nginx/proxy;
			fastcgi_temp_path $tmp/nginx/fastcgi;
			uwsgi_temp_path $tmp/nginx/uwsgi;
			scgi_temp_path $tmp/nginx/scgi;
			ssl_protocols TLSv1.2 TLSv1.3;
			ssl_certificate $tmp/web.pem;
			ssl_certificate_key $tmp/web.key;
			server {
				listen [::]:80 ipv6only=off;
				listen 127.0.0.1:4443 ssl http2;
				server_name $web_name;
				root $tmp/nginx;
			}
			server {
				listen 127.0.0.1:4444 ssl;
				ssl_reject_handshake on;
			}
		}
		stream {
			map \$ssl_preread_server_name \$backend {
				$turn_name 198.18.1.2:5349;
				$nobody_name 127.0.0.1:4444;
				default 127.0.0.1:4443;
			}
			server {
				listen [::]:443 ipv6only=off;
				ssl_preread on;
				proxy_pass \$backend;
			}
			server {
				listen [::]:9003 ipv6only=off;
				proxy_pass 127.0.0.1:9;
			}
		}
	END
	start "$tmp/nginx.log" "$lab" exec responder nginx -p "$tmp/nginx" -e "$tmp/nginx/error.log" -c "$tmp/nginx/nginx.conf"
	taken tcp:80 tcp:443
}

# start_coturn NAME PORT OPTION...: TURN and STUN on all addresses of the responder.
start_coturn()
{
	local name=$1 port=$2

	shift 2
	start "$tmp/$name.log" "$lab" exec responder turnserver -n --listening-port="$port" --realm=$turn_realm --lt-cred-mech \
		--user=user:password --no-cli --no-dtls --log-file=stdout --simple-log --pidfile="$tmp/$name.pid" \
		--userdb="$tmp/$name.db" --cert="$tmp/web.pem" --pkey="$tmp/web.key" \
		--listening-ip=198.18.1.2 --listening-ip=2001:2:0:2::2 --relay-ip=198.18.1.2 "$@"
	taken "udp:$port"
}

# libnice on TCP 7881; its id in $ice_pid.
start_ice()
{
	start "$tmp/ice.log" "$lab" exec responder python3 "$top/tests/lab/ice_tcp.py" 198.18.1.2 7881 $ice_ufrag $ice_pwd
	# shellcheck disable=SC2034 # for the test
	ice_pid=$started_pid
	wait_for 10 grep -q ready "$tmp/ice.log" || sed 's/^/# libnice: /' "$tmp/ice.log"
}

# Bad services, see tcp_ends.py.
start_ends()
{
	start "$tmp/ends.log" "$lab" exec responder python3 "$top/tests/lab/tcp_ends.py" "$@"
	wait_for 10 grep -q ready "$tmp/ends.log" || sed 's/^/# ends: /' "$tmp/ends.log"
}

# complaints FILE: packets of a capture in which tshark finds something wrong with what was said. What TCP itself repeats or loses on a
# busy machine is no fault of a message.
complaints()
{
	local wrong='_ws.malformed || stun.att.crc32.status == "Bad"'

	wrong+=' || (stun && _ws.expert.group in {"Malformed", "Protocol", "Undecoded", "Checksum"})'
	{ tshark -r "$1" -Y "$wrong" 2>/dev/null || echo "tshark could not read it"; } >"$1.complaints"
	sed "s/^/# tshark: /" "$1.complaints" >&2
	wc -l <"$1.complaints"
}
